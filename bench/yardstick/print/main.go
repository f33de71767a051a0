// Command print prints a constant: what starting any Go program costs.
package main

import "os"

func main() {
	if _, err := os.Stdout.WriteString("constant\n"); err != nil {
		os.Exit(1)
	}
}
