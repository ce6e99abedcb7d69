package luna

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/luna-hpc/luna/pkg/catalog"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

func (a *app) clusterCommand() *cobra.Command {
	return nounCommand(catalog.Cluster, "what is true for all nodes",
		a.changing(verb{noun: catalog.Cluster, verb: "init", short: "describe a new cluster", request: &inventoryv1.ClusterInitRequest{},
			example: "  luna cluster init --frontend_address 10.30.255.254",
			fields: []field{
				{name: "frontend_address", usage: "IPv4 `address` of this head that nodes talk to", needed: true},
				{name: "nodeprefix", usage: "beginning of made-up node names (default node)"},
				{name: "nodedigits", usage: "digits of made-up node names (default 3)"},
				{name: "path", usage: "directory of images (default /opt/luna)"},
				{name: "user", usage: "user that owns the files (default luna)"},
			}}),
		a.changing(verb{noun: catalog.Cluster, verb: "change", short: "change what is true for all nodes", request: &inventoryv1.ClusterChangeRequest{}, texts: []longText{comment},
			gone: []gone{
				{name: "frontend_https", note: "nodes speak plain HTTP, and prove their boot by token"},
				{name: "lweb_num_proc", note: "one process serves all nodes"},
				{name: "lweb_pidfile", note: "services run under systemd or compose"},
				{name: "torrent_pidfile", note: "services run under systemd or compose"},
				{name: "named_include_file", note: "dns serves the zones itself"},
				{name: "named_zone_dir", note: "dns serves the zones itself"},
			},
			example: "  luna cluster change --menu_wait 0",
			fields: []field{
				{name: "frontend_address", usage: "IPv4 `address` of the head that nodes talk to"},
				{name: "nodeprefix", short: "p", usage: "beginning of made-up node names"},
				{name: "nodedigits", short: "d", usage: "digits of made-up node names"},
				{name: "path", usage: "directory of images"},
				{name: "user", usage: "user that owns the files"},
				{name: "frontend_port", usage: "port of the boot scripts"},
				{name: "server_port", usage: "port of torrent files, pieces and tracker"},
				{name: "tracker_interval", usage: "seconds between announces, with more than 24 nodes up to six times as many"},
				{name: "tracker_min_interval", usage: "least seconds between announces"},
				{name: "tracker_maxpeers", usage: "peers in one answer of the tracker"},
				{name: "torrent_listen_port_min", usage: "first port of BitTorrent"},
				{name: "torrent_listen_port_max", usage: "last port of BitTorrent"},
				{name: "cluster_ips", usage: "addresses of all heads, with commas"},
				{name: "menu_wait", usage: "seconds that the boot menu waits; 0 skips it"},
			}}),
		a.showing(catalog.Cluster, nil),
		a.changing(verb{noun: catalog.Cluster, verb: "makedhcp", short: "set the range of addresses for machines that are no nodes", request: &inventoryv1.ClusterMakedhcpRequest{},
			gone:    []gone{{name: "native_dhcp_ha", toggle: true, note: "each head gives out its own slice of the range"}},
			example: "  luna cluster makedhcp -N cluster -s 10.30.128.1 -e 10.30.140.255",
			fields: []field{
				{name: "network", short: "N", usage: "`network` of the range"},
				{name: "start_ip", short: "s", usage: "first `address`"},
				{name: "end_ip", short: "e", usage: "last `address`"},
			}}),
		a.makednsCommand(), a.listmacsCommand(), a.knownHostsCommand(), a.clusterSyncCommand(),
		a.changing(verb{noun: catalog.Cluster, verb: "delete", short: "remove the cluster when nothing else is left", request: &inventoryv1.ClusterDeleteRequest{},
			gone: []gone{{name: "force", toggle: true, note: "everything else is deleted first, by name"}}}))
}

func (a *app) makednsCommand() *cobra.Command {
	return &cobra.Command{Use: "makedns", Short: "show the zones as they are served", Args: cobra.NoArgs,
		Long: "Zones follow every change by themselves; this shows which are served now.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			rep, err := ask(cmd.Context(), a, "dns", "zone", "list", &inventoryv1.ClusterMakednsRequest{}, &inventoryv1.ClusterMakednsReply{})
			if err != nil {
				return err
			}
			if a.output != "table" {
				return a.print(rep)
			}
			for _, z := range rep.Zones {
				fmt.Fprintln(a.out, z)
			}
			return nil
		}}
}

// synced is what there is to do for heads to be the same.
const synced = "nothing to do: heads share %s through the bus, and payloads through the swarm\n"

func (a *app) clusterSyncCommand() *cobra.Command {
	return &cobra.Command{Use: "sync", Short: "nothing: heads share all by themselves", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(a.out, synced, "the description of the cluster")
			return err
		}}
}
