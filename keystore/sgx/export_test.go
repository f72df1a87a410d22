package sgx

import (
	"io"

	"github.com/countersign-mpc/countersign/keystore"
)

// OpenAt and WriteFileAt are Open and WriteFile with a stand-in for the sealing device.
func OpenAt(cfg Config, device string) (*keystore.Store, error) { return open(cfg, device) }

func WriteFileAt(path, device string, contents func(io.Writer) error) error {
	return writeFile(path, device, contents)
}
