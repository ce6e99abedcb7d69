package exchange

import "time"

// Want says that some pieces are to be fetched, or no more, unless they are there.
func (t *Torrent) Want(first, count int, want bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := first; i < first+count; i++ {
		if want && !t.have.has(i) {
			t.missing.add(i)
		} else {
			t.missing.remove(i)
		}
		t.settle(i)
	}
	t.tellInterest()
	t.schedule(time.Now())
}

// Pause stops asking for pieces, or goes on.
func (t *Torrent) Pause(pause bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.paused = pause
	t.schedule(time.Now())
}

// Have says that a piece is there and was checked.
func (t *Torrent) Have(piece int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gain(piece, time.Now())
}

// gain notes that a piece is there, and tells the peers; t.mu is held. One that was taken back
// meanwhile is not: Lose may have come before.
func (t *Torrent) gain(piece int, now time.Time) {
	if t.closed || t.have.has(piece) || !t.cfg.Pieces.Has(piece) {
		return
	}
	t.have.add(piece)
	t.missing.remove(piece)
	for _, tr := range t.flying[piece] {
		if !tr.whole {
			tr.from.cancel(tr)
		}
	}
	t.settle(piece)
	t.came = append(t.came, int32(piece))
	if t.offers != nil {
		t.offers.gain(piece)
		t.offer(now)
	}
	t.tell(piece)
	if t.missing.empty() {
		t.tellInterest()
	}
}

// Lose says that a piece is not there any more. Who was told of it is disconnected: there is no
// message that takes it back.
func (t *Torrent) Lose(piece int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.have.has(piece) {
		return
	}
	t.have.remove(piece)
	if t.offers != nil {
		t.offers.lose(piece)
	}
	for _, p := range t.peers {
		if !t.offersTo(p) || p.offered.has(piece) {
			p.close(errTaken)
		}
	}
}

// settle notes whether a piece may be asked for; t.mu is held.
func (t *Torrent) settle(piece int) {
	if t.missing.has(piece) && len(t.flying[piece]) == 0 {
		t.wantable.add(piece)
	} else {
		t.wantable.remove(piece)
	}
}
