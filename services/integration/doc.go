// Package integration tests Luna as a whole, in a virtual room.
package integration
