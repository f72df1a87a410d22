package policy

// For tests: how a recorded input is read, and the check that it has to be as strict as.
var InputValue = inputValue

// CheckInput is checkJSON as it holds for inputs.
func CheckInput(b []byte) error { return checkJSON(b, maxInputSize, false, false) }
