//go:build !linux

package main

func harden() []string { return []string{"NOT core dumps off: known on Linux only"} }

func lockMemory() string { return "NOT memory locked: known on Linux only" }
