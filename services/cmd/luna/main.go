// Command luna is the command line of Luna.
package main

import (
	"os"

	"github.com/luna-hpc/luna/services/luna"
)

func main() { os.Exit(luna.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
