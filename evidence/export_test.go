package evidence

// PlainEVM and EVMByGeth are the two ways by which EVMTransaction reads a payload that is not empty.
var (
	PlainEVM  = plainEVM
	EVMByGeth = evmByGeth
)

// IsAddress is SameAddress where the second is written as FormatAddress does, IsHexOf what ParseCalldata reads, IsDigest what
// ParseDigest reads, and IsInt what FormatInt writes.
var (
	IsAddress     = isAddress
	SameAddress   = sameAddress
	FormatAddress = formatAddress
	IsHexOf       = isHexOf
	ParseCalldata = parseCalldata
	ParseDigest   = parseDigest
	IsDigest      = isDigest
	IsInt         = isInt
	FormatInt     = formatInt
)

// BytesAs and DigestAs are FormatBytes and FormatDigest, beside what is claimed.
var (
	BytesAs      = bytesAs
	FormatBytes  = formatBytes
	DigestAs     = digestAs
	FormatDigest = formatDigest
)
