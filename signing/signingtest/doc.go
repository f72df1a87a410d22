// Package signingtest tests what is built on signing without the cost of a real protocol: a cheap, insecure toy
// protocol behind the same interfaces, a network of sessions in one process with hooks for an adversary, and marked
// test shares from testdata/shares. No production package may import it, and a test checks that.
//
// The toy protocol reveals every secret to every party. Its keygen makes real shares (of a key that all parties know)
// and its signatures are real ECDSA signatures, with the shares of any protocol, so that what is around it can be
// tested by stock verifiers. With a recipient, only that party gets the last messages, as in the real protocols.
//
// Deal makes random keys of both curves whose shares the real protocols take.
package signingtest
