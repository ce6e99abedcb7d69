#!/bin/bash
# What ipmi_sim calls to read and switch the machine: a process of its own,
# whose id is in the file machine. The light's state is in the file light.
cd "$(dirname "$0")" || exit 1

machine() { [ -s machine ] && kill -0 "$(cat machine)" 2>/dev/null; }

start() {
	machine && return
	setsid sleep 900 </dev/null >/dev/null 2>&1 &
	for _ in {1..500}; do # until it is what others tell it by
		[ "$(cat "/proc/$!/comm")" = sleep ] && break
		sleep 0.01
	done
	echo $! >machine
}

stop() {
	machine && kill -KILL "$(cat machine)"
	rm -f machine
}

# ipmi_sim calls "get NAME…" and "set NAME VALUE…".
op=$1
shift
while [ $# -gt 0 ]; do
	case "$op $1" in
	"get power") machine && echo power:1 || echo power:0 ;;
	"set power") if [ "$2" = 1 ]; then start; else stop; fi && shift ;;
	"set reset") stop && start && shift ;;
	"set identify") echo "$2" >light && shift ;;
	*) exit 1 ;;
	esac
	shift
done
