package switchpoller

import (
	"fmt"
	"time"

	"github.com/luna-hpc/luna/services/switch-poller/internal/poll"
	"github.com/luna-hpc/luna/services/switch-poller/internal/walk"
)

// Config is what the switch poller can be told.
type Config struct {
	// Interval is from one round of asking a switch to the next.
	Interval time.Duration `yaml:"interval"`
	// Keep is how long a MAC is known after it was last seen; at least four intervals, since it is told anew when half of it
	// is over.
	Keep time.Duration `yaml:"keep"`
	// Limit is how long asking one switch may take.
	Limit time.Duration `yaml:"limit"`
	// Timeout is how long one answer is waited for, Retries how often it is asked for again.
	Timeout time.Duration `yaml:"timeout"`
	Retries int           `yaml:"retries"`
	// Workers is how many switches are asked at once.
	Workers int `yaml:"workers"`
	// Port is the UDP port of the switches.
	Port uint16 `yaml:"port"`
	// MaxMACs is how many MACs a port may have; one with more leads to another switch.
	MaxMACs int `yaml:"max_macs"`
	// Repetitions is how many rows a switch is asked for at once.
	Repetitions uint32 `yaml:"repetitions"`
	// MaxRows is how many rows a table of a switch may have.
	MaxRows int `yaml:"max_rows"`
}

// Default returns the configuration of a service without a file.
func Default() Config {
	return Config{Interval: 30 * time.Second, Keep: 5 * time.Minute, Limit: 20 * time.Second, Timeout: 2 * time.Second, Retries: 2,
		Workers: 64, Port: 161, MaxMACs: 32, Repetitions: 40, MaxRows: 100_000}
}

// check says what is wrong with the configuration.
func (c Config) check() error {
	switch {
	case c.Interval <= 0 || c.Limit <= 0 || c.Timeout <= 0:
		return fmt.Errorf("interval, limit and timeout must be times above 0, not %s, %s and %s", c.Interval, c.Limit, c.Timeout)
	case c.Keep < 4*c.Interval || c.Keep < 4*time.Second:
		return fmt.Errorf("keep must be four intervals and four seconds or more, not %s", c.Keep)
	case c.Retries < 0 || c.Retries > 10:
		return fmt.Errorf("retries must be 0 to 10, not %d", c.Retries)
	case c.Workers < 2:
		return fmt.Errorf("workers must be 2 or more, not %d", c.Workers)
	case c.Port == 0:
		return fmt.Errorf("port must be 1 to 65535")
	case c.MaxMACs < 1 || c.MaxRows < 1:
		return fmt.Errorf("max_macs and max_rows must be 1 or more, not %d and %d", c.MaxMACs, c.MaxRows)
	case c.Repetitions < 1 || c.Repetitions > 1000:
		return fmt.Errorf("repetitions must be 1 to 1000, not %d", c.Repetitions)
	}
	return nil
}

func (c Config) terms() poll.Terms {
	return poll.Terms{Interval: c.Interval, Limit: c.Limit, Workers: c.Workers, Port: c.Port, Most: c.MaxMACs,
		Walk: walk.Limits{Timeout: c.Timeout, Retries: c.Retries, Repetitions: c.Repetitions, Rows: c.MaxRows}}
}
