//go:build !sgxstandin

package sgx

// DevicePath is where Gramine gives an enclave the key that the processor derives for its signer (MRSIGNER), product and security
// version: 16 bytes.
func DevicePath() string { return "/dev/attestation/keys/_sgx_mrsigner" }
