package transport

// RecodePayload decodes a payload and encodes it again, for fuzzing.
func RecodePayload(b []byte) ([]byte, error) {
	p, err := decodePayload(b)
	if err != nil {
		return nil, err
	}
	return p.encode()
}
