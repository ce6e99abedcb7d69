package hostlist

import (
	"cmp"
	"slices"
	"strings"
)

// Fold returns names as one short list, sorted, each once: node[001-003]. The
// names hold nothing but letters, digits, '.', '-' and '_'. Where names have
// several numbers the list is short but not always the shortest there is.
func Fold(names []string) string {
	entries := make([]entry, 0, len(names))
	for _, n := range names {
		entries = append(entries, split(n))
	}
	slices.SortFunc(entries, entry.compare)
	best := ""
	for _, backwards := range []bool{true, false} {
		if s := join(merge(slices.Clone(entries), backwards)); best == "" || len(s) < len(best) {
			best = s
		}
	}
	return best
}

// Compare orders names as people count: node2 before node10.
func Compare(a, b string) int { return split(a).compare(split(b)) }

// entry is a name cut at its numbers: texts with a set of numbers between each two.
type entry struct {
	texts   []string
	numbers [][]string
}

func split(name string) entry {
	e, start := entry{}, 0
	for i := 0; i < len(name); {
		end := i
		for end < len(name) && isDigit(name[end]) {
			end++
		}
		if end > i && end-i <= maxDigits {
			e.texts = append(e.texts, name[start:i])
			e.numbers = append(e.numbers, []string{name[i:end]})
			start = end
		}
		i = max(end, i+1)
	}
	e.texts = append(e.texts, name[start:])
	return e
}

// compare orders entries by their texts and lowest numbers, from left to right.
func (e entry) compare(o entry) int {
	for i := range min(len(e.texts), len(o.texts)) {
		if c := cmp.Compare(e.texts[i], o.texts[i]); c != 0 {
			return c
		}
		if i >= len(e.numbers) || i >= len(o.numbers) {
			return cmp.Compare(len(e.numbers), len(o.numbers))
		}
		if c := compareNumbers(e.numbers[i][0], o.numbers[i][0]); c != 0 {
			return c
		}
	}
	return 0
}

// compareNumbers orders numbers by width, then by value, so that those which
// can stand in a range are neighbours.
func compareNumbers(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(number(a), number(b)))
}

// merge joins entries that differ in one number only, one place after another.
func merge(entries []entry, backwards bool) []entry {
	places := 0
	for _, e := range entries {
		places = max(places, len(e.numbers))
	}
	for i := range places {
		if backwards {
			i = places - 1 - i
		}
		entries = mergeAt(entries, i)
	}
	return entries
}

func mergeAt(entries []entry, place int) []entry {
	var merged []entry
	at := map[string]int{}
	for _, e := range entries {
		if place >= len(e.numbers) {
			merged = append(merged, e)
			continue
		}
		key := e.without(place)
		i, ok := at[key]
		if !ok {
			at[key] = len(merged)
			e.numbers = slices.Clone(e.numbers)
			e.numbers[place] = slices.Clone(e.numbers[place])
			merged = append(merged, e)
			continue
		}
		merged[i].numbers[place] = append(merged[i].numbers[place], e.numbers[place]...)
	}
	for _, i := range at {
		set := merged[i].numbers[place]
		slices.SortFunc(set, compareNumbers)
		merged[i].numbers[place] = slices.Compact(set)
	}
	return merged
}

// without is all of an entry but the numbers at one place.
func (e entry) without(place int) string {
	var b strings.Builder
	for i, t := range e.texts {
		b.WriteString(t)
		if i < len(e.numbers) && i != place {
			b.WriteString("[" + strings.Join(e.numbers[i], ","))
		}
		b.WriteString("]")
	}
	return b.String()
}

func join(entries []entry) string {
	var parts []string
	for _, e := range entries {
		var b strings.Builder
		for i, t := range e.texts {
			b.WriteString(t)
			if i < len(e.numbers) {
				b.WriteString(ranges(e.numbers[i]))
			}
		}
		parts = append(parts, b.String())
	}
	return strings.Join(slices.Compact(parts), ",")
}

// ranges writes sorted numbers, in a bracket when they are several.
func ranges(set []string) string {
	if len(set) == 1 {
		return set[0]
	}
	var parts []string
	for i := 0; i < len(set); {
		end := i
		for end+1 < len(set) && follows(set[i], set[end], set[end+1]) {
			end++
		}
		if end == i {
			parts = append(parts, set[i])
		} else {
			parts = append(parts, set[i]+"-"+set[end])
		}
		i = end + 1
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// follows says whether next goes on a range from first to last.
func follows(first, last, next string) bool {
	wide := len(first) == len(next) || !padded(first) && !padded(next)
	return wide && number(next) == number(last)+1
}
