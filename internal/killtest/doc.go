// Package killtest kills a child process of a test at a moment that is chosen by what it writes.
package killtest
