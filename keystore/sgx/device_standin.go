//go:build sgxstandin

package sgx

import "os"

// DevicePath is a stand-in for the sealing device, for tests without an enclave. Programs for use are never built with this tag.
func DevicePath() string { return os.Getenv("COUNTERSIGN_SGX_STANDIN") }
