// Command luna-agent is what runs in a node's initrd.
package main

import (
	"os"

	"github.com/luna-hpc/luna/services/agent"
)

func main() { os.Exit(agent.Main(os.Args, os.Stdin, os.Stdout, os.Stderr)) }
