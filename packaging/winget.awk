# Makes a manifest of winget's the same on every machine and day: goreleaser dates it
# today, and lists the architectures in the random order of a map. arm64 goes last.
/^ReleaseDate:/ { $0 = "ReleaseDate: \"" date "\"" }
/^  - / { later = /arm64/ }
/^[^ ]/ { printf "%s", kept; kept = ""; later = 0 }
later { kept = kept $0 "\n"; next }
{ print }
