// Command luna is the command line of Luna.
package main

import (
	"os"

	"github.com/luna-hpc/luna/services/luna"
)

func main() { os.Exit(luna.Main(luna.Words(os.Args), os.Stdin, os.Stdout, os.Stderr)) }
