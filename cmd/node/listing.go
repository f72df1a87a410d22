package main

import (
	"encoding/json"
	"fmt"
	"io"
)

// line is one of the things that an answer of the node lists.
type line interface{ print(w io.Writer) }

// printList prints what an answer of the node lists, as JSON or for people, who read none where there is nothing.
func printList[L line](w io.Writer, answer []byte, asJSON bool, none string) error {
	var reply struct {
		Data []L `json:"data"`
	}
	if err := json.Unmarshal(answer, &reply); err != nil {
		return fmt.Errorf("read the node's answer: %w", err)
	}
	if asJSON {
		return printJSON(w, reply.Data)
	}
	if len(reply.Data) == 0 {
		fmt.Fprintln(w, none)
	}
	for _, l := range reply.Data {
		l.print(w)
	}
	return nil
}

func printJSON(w io.Writer, v any) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(v)
}
