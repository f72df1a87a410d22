package main

import (
	"io"

	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/keystore/sgx"
)

// The values of storage.engine.
const (
	engineBolt = "bolt"
	engineSGX  = "sgx"
)

// openStore opens the node's store with the configured engine.
func (c *config) openStore() (*keystore.Store, error) {
	if c.Storage.Engine == engineSGX {
		return sgx.Open(sgx.Config{Path: c.Storage.Path, WorkDir: c.Storage.WorkDir})
	}
	return keystore.Open(keystore.Config{Path: c.Storage.Path})
}

// placeStore puts the bytes of a store, such as a backup's, where the node's store belongs. It never replaces one.
func (c *config) placeStore(contents func(io.Writer) error) error {
	if c.Storage.Engine == engineSGX {
		return sgx.WriteFile(c.Storage.Path, contents)
	}
	return keystore.WriteFile(c.Storage.Path, contents)
}
