// Package frame is the codec between the wire and the CMP library: it writes and reads frames (docs/FORMATS.md,
// signing) and demands that a frame's payload is, byte for byte, what the template of its protocol and round would
// encode. The library decodes payloads into Go structures without checking them, so that a missing or null field, a
// length or an array of the wrong size ends there in a panic or in memory without bound; such a payload ends here.
//
// A payload is decoded generically, with limits on size and nesting and without indefinite lengths or repeated keys;
// the values found are then written again as the template says (its keys in its order, its types and lengths, shortest
// heads), and the two must be the same bytes. So every message has exactly one accepted encoding.
//
// It does not know the library and does no cryptography: whether a point is on the curve or a proof holds is decided
// behind it. Its functions are safe for concurrent use.
package frame
