// Command luna-dns answers for the names and addresses of the cluster.
package main

import (
	"os"

	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/services/dns"
)

func main() { os.Exit(run.Main("dns", "127.0.0.1:7045", dns.Default(), dns.New)) }
