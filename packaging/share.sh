#!/bin/sh
# Makes what packages hold beside the program, in packaging/share: man pages, shell
# completions, and the licences of all that is linked into the program.
#
#	sh packaging/share.sh SECONDS	the date of the pages, in Unix time
set -eu
umask 022
cd "$(dirname "$0")/.."
share=packaging/share
rm -rf "$share"
mkdir -p "$share/bash-completion/completions" "$share/fish/vendor_completions.d" "$share/zsh/site-functions" "$share/doc/daypass"

SOURCE_DATE_EPOCH=$1 go run ./docs/man "$share/man/man1"
gzip -9n "$share"/man/man1/*

go run . completion bash > "$share/bash-completion/completions/daypass"
go run . completion fish > "$share/fish/vendor_completions.d/daypass.fish"
go run . completion zsh > "$share/zsh/site-functions/_daypass"

# All systems in one: the file is the same in every package.
{
	cat LICENSE
	printf '\n\ndaypass is linked with Go and with these modules:\n\n== Go\n\n'
	cat "$(go env GOROOT)/LICENSE"
	for os in darwin linux windows; do
		GOOS=$os go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}' .
	done | LC_ALL=C sort -u | while read -r module folder; do
		printf '\n\n== %s\n\n' "$module"
		cat "$folder"/LICEN[CS]E*
		for notice in "$folder"/NOTICE*; do test ! -e "$notice" || cat "$notice"; done
	done
} > "$share/doc/daypass/copyright"
