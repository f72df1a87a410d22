package main

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/countersign-mpc/countersign/keystore/sgx"
)

// enclave looks at what engine "sgx" needs: inside of an enclave the device that gives the sealing key, outside of one the
// processor, the driver and the kernel.
func (m machine) enclave() []finding {
	const name = "sgx"
	kind := strings.TrimSpace(m.text("dev/attestation/attestation_type"))
	if key := []byte(m.text(inRoot(sgx.DevicePath()))); len(key) == 16 {
		clear(key)
		return []finding{good(name, "this is an enclave, attestation %q, with a sealing key", kind)}
	}
	if kind != "" {
		return []finding{{name, levelFail, "this is an enclave, and it has no sealing key at " + sgx.DevicePath(), "use Gramine 1.5 or newer, gramine-sgx, and the manifest of deploy/sgx"}}
	}
	out := []finding{{name, levelFail, outsideEnclave, "start the node with gramine-sgx, as deploy/sgx/README.md says"}}
	return append(out, m.host()...)
}

const outsideEnclave = "this process is not in an enclave: there is no /dev/attestation"

// ofHost is what check makes of what start demands: it is run on the host, and only start must be in the enclave.
func ofHost(findings []finding) []finding {
	for i := range findings {
		if findings[i].Found == outsideEnclave {
			findings[i].Level = levelWarn
		}
	}
	return findings
}

// host looks at the machine that is to run an enclave.
func (m machine) host() []finding {
	const name = "sgx host"
	var out []finding
	flags := m.cpuFlags()
	switch {
	case !flags["sgx"]:
		out = append(out, finding{name, levelFail, "the processor, or the firmware's settings, offer no SGX (no flag sgx in /proc/cpuinfo)", "turn SGX on in the firmware, or take another machine"})
	case !flags["sgx_lc"]:
		out = append(out, finding{name, levelFail, "the processor has SGX without flexible launch control (no flag sgx_lc), which the kernel's driver needs", "turn it on in the firmware, or take another machine"})
	default:
		out = append(out, good(name, "the processor has SGX with flexible launch control"))
	}
	if _, err := fs.Stat(m.root, "dev/sgx_enclave"); err != nil {
		if _, err := fs.Stat(m.root, "dev/sgx/enclave"); err != nil {
			out = append(out, finding{name, levelFail, "there is no /dev/sgx_enclave: the kernel has no driver for SGX, or the container was not given the device",
				"modprobe intel_sgx; Docker: --device /dev/sgx_enclave"})
		}
	}
	release := strings.TrimSpace(m.text("proc/sys/kernel/osrelease"))
	if newer, err := atLeast(release, 5, 11); err != nil {
		out = append(out, finding{name, levelWarn, err.Error(), "see to it that the kernel is 5.11 or newer"})
	} else if !newer {
		out = append(out, finding{name, levelFail, "the kernel is " + release, "use Linux 5.11 or newer, which has the driver"})
	} else {
		out = append(out, good(name, "the kernel is %s", release))
	}
	return out
}

func (m machine) cpuFlags() map[string]bool {
	flags := map[string]bool{}
	for line := range strings.Lines(m.text("proc/cpuinfo")) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "flags" {
			for _, flag := range strings.Fields(value) {
				flags[flag] = true
			}
			break // all cores are the same
		}
	}
	return flags
}

// atLeast tells whether a kernel's release, such as 6.1.0-18-amd64, is a version or newer.
func atLeast(release string, major, minor int) (bool, error) {
	first, rest, _ := strings.Cut(release, ".")
	second, _, _ := strings.Cut(rest, ".")
	if i := strings.IndexFunc(second, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		second = second[:i]
	}
	a, err := strconv.Atoi(first)
	b, err2 := strconv.Atoi(second)
	if err != nil || err2 != nil {
		return false, fmt.Errorf("the kernel's release %q is no version", release)
	}
	return a > major || a == major && b >= minor, nil
}
