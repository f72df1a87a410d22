package wire

// LeftInPools is what pieces of memory and parsers that nobody uses have in them: nothing, else what was found.
func LeftInPools() string {
	room, _ := bodyRooms.Get().(*[bodyRoom]byte)
	defer bodyRooms.Put(room)
	for _, b := range room {
		if b != 0 {
			return "a byte of a body"
		}
	}
	p, _ := parsers.Get().(*parser)
	defer parsers.Put(p)
	if p.path != nil || p.steps != [len(p.steps)]string{} || p.detail != (detail{}) || p.unknown != nil || p.unknownTx != nil || p.problems != nil || p.lenient {
		return "what a parser has read"
	}
	s, _ := scanners.Get().(*scanner)
	defer scanners.Put(s)
	if s.buffer.Len() > 0 || s.buffer.Cap() > 0 {
		return "a body in a scanner"
	}
	return ""
}

// BodyRoom is the length of the bodies that are read into memory which is used again.
const BodyRoom = bodyRoom
