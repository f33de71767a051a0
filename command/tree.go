package command

import "github.com/spf13/cobra"

// Tree returns the commands with their texts and flags, to write manuals from.
// They cannot be run.
func Tree() *cobra.Command { return newRoot(&Environment{}, subcommands()...) }
