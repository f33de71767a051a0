// Command keyring prints the item of the OS keyring whose service and user its
// arguments name: the least that a program built on go-keyring has to do.
package main

import (
	"os"

	"github.com/zalando/go-keyring"
)

func main() {
	value, err := keyring.Get(os.Args[1], os.Args[2])
	if err == nil {
		_, err = os.Stdout.WriteString(value)
	}
	if err != nil {
		os.Exit(1)
	}
}
