//go:build race

package eddsa_test

const mostParties = 3
