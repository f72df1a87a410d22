package evidence

// PlainEVM and EVMByGeth are the two ways by which EVMTransaction reads a payload that is not empty.
var (
	PlainEVM  = plainEVM
	EVMByGeth = evmByGeth
)
