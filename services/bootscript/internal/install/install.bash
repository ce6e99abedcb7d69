#!/bin/bash
# Luna install script of {{.Node}}
export LUNA_OSIMAGE={{quote .Osimage}}
{{call .Step "prescript" .Prescript}}
{{- .BMC}}
{{- .Partscript}}luna-agent payload --manifest {{.Manifest}} --torrent {{.Torrent}} || exit 1
{{call .Data "identity" .Identity}}
{{- call .Data "network" .Network}}
{{- call .Step "postscript" .Postscript}}luna-agent finish || exit 1
