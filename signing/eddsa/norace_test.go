//go:build !race

package eddsa_test

// mostParties is the largest number of parties of TestKeygen. The library's arithmetic is slow, and more so under the
// race detector, which learns nothing from more parties.
const mostParties = 5
