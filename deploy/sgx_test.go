package deploy_test

import (
	"regexp"
	"strings"
	"testing"
)

// TestEnclaveOpensWhatTheConfigurationNames wants every file of config.toml to be in the manifest, or to be told in the text that says
// how further ones come into it: an enclave opens nothing else.
func TestEnclaveOpensWhatTheConfigurationNames(t *testing.T) {
	manifest, readme := read(t, "sgx/mpc-node.manifest.template"), read(t, "sgx/README.md")
	if !strings.Contains(manifest, `(trusted | default("")).split()`) || !strings.Contains(readme, "-Dtrusted=") {
		t.Error("no way to name further files")
	}
	keys := regexp.MustCompile(`(?m)^#? ?([a-z-]*(?:-path|-paths|address-file)) = "?\[?"?([^"\]\n]*)`).FindAllStringSubmatch(read(t, "../config.toml"), -1)
	if len(keys) < 15 {
		t.Fatalf("found %v", keys)
	}
	for _, key := range keys {
		if !strings.Contains(readme, "`"+key[1]+"`") && !strings.Contains(readme, key[1]+" = ") && !strings.Contains(manifest, "}}/"+key[2]+`"`) {
			t.Errorf("nothing says how %s = %q comes into the enclave", key[1], key[2])
		}
	}
}
