package wire_test

import (
	"testing"

	"github.com/countersign-mpc/countersign/wire"
)

// BenchmarkParseCheck is what a request costs beside its signature: strict reading and taking apart.
func BenchmarkParseCheck(b *testing.B) {
	body := []byte(vectors(b)[3].Body)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.ParseCheck(wire.PathCheck, body); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReply is a signed reply.
func BenchmarkReply(b *testing.B) {
	key := serverKey(b)
	data := wire.ResponseData{CallbackID: "0123456789abcdef0123456789abcdef", SinoID: "sino", RequestID: "r-1", Action: wire.Approve}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.Reply(key, data, wire.StyleTitle, ""); err != nil {
			b.Fatal(err)
		}
	}
}
