package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// pages returns a page for the root command and each that is not hidden, by file
// name.
func pages(root *cobra.Command, date string) map[string]string {
	all := map[string]string{pageName(root) + ".1": page(root, date)}
	for _, cmd := range root.Commands() {
		if !cmd.Hidden {
			all[pageName(cmd)+".1"] = page(cmd, date)
		}
	}
	return all
}

// pageName is the name of a command's page, as git has it: daypass-login.
func pageName(cmd *cobra.Command) string {
	return strings.ReplaceAll(cmd.CommandPath(), " ", "-")
}

// page writes one page in the macros of man(7).
func page(cmd *cobra.Command, date string) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 %s daypass \"daypass manual\"\n", strings.ToUpper(escaped(pageName(cmd))), escaped(date))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", escaped(pageName(cmd)), escaped(cmd.Short))
	if cmd.Runnable() {
		fmt.Fprintf(&b, ".SH SYNOPSIS\n%s\n", line(cmd.UseLine()))
	}
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s", text(cmd.Long))
	if subcommands := cmd.Commands(); len(subcommands) > 0 {
		b.WriteString(".SH COMMANDS\n")
		for _, sub := range subcommands {
			if !sub.Hidden {
				fmt.Fprintf(&b, ".TP\n.BR %s (1)\n%s\n", escaped(pageName(sub)), line(sub.Short))
			}
		}
	}
	b.WriteString(options(cmd.LocalFlags()))
	if cmd.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n%s", text(cmd.Example))
	}
	if parent := cmd.Parent(); parent != nil {
		fmt.Fprintf(&b, ".SH SEE ALSO\n.BR %s (1),\n.BR %s (1)\n", escaped(pageName(parent)), escaped(pageName(parent)+"-settings"))
	}
	return b.String()
}

// options lists the flags that are not hidden.
func options(flags *pflag.FlagSet) string {
	var b strings.Builder
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		if b.Len() == 0 {
			b.WriteString(".SH OPTIONS\n")
		}
		value, usage := pflag.UnquoteUsage(f)
		b.WriteString(".TP\n")
		if f.Shorthand != "" {
			b.WriteString("\\fB" + escaped("-"+f.Shorthand) + "\\fR, ")
		}
		b.WriteString("\\fB" + escaped("--"+f.Name) + "\\fR")
		if value != "" {
			b.WriteString(" \\fI" + escaped(value) + "\\fR")
		}
		b.WriteString("\n" + line(usage) + "\n")
	})
	return b.String()
}

// text writes paragraphs. Lines that are indented are kept as they are.
func text(long string) string {
	var b strings.Builder
	asTyped := false
	for _, typed := range strings.Split(strings.Trim(long, "\n"), "\n") {
		if indented := strings.HasPrefix(typed, "  "); indented != asTyped && typed != "" {
			asTyped = indented
			if asTyped {
				b.WriteString(".PP\n.nf\n")
			} else {
				b.WriteString(".fi\n")
			}
		}
		if typed == "" {
			b.WriteString(".PP\n")
			continue
		}
		b.WriteString(line(typed) + "\n")
	}
	if asTyped {
		b.WriteString(".fi\n")
	}
	return strings.ReplaceAll(b.String(), ".PP\n.PP\n", ".PP\n")
}

// line is a line of text, which no reader takes for a request.
func line(text string) string {
	text = escaped(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}

// escaped replaces the characters that groff_char(7) sets as others than were
// typed.
func escaped(text string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, `"`, `\(dq`).Replace(text)
}
