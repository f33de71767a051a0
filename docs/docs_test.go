// Package docs_test holds the pages in this folder to the program: what they
// name is there, and what the program says can be found in them.
package docs_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/daypass/daypass/process"
	"github.com/daypass/daypass/profile"
)

// pages are all pages by path, README.md of the project included.
func pages(t *testing.T) map[string]string {
	t.Helper()
	paths := []string{filepath.Join("..", "README.md")}
	for _, pattern := range []string{"*.md", "providers/*.md"} {
		found, err := filepath.Glob(filepath.FromSlash(pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d pages, %v", pattern, len(found), err)
		}
		paths = append(paths, found...)
	}
	all := map[string]string{}
	for _, path := range paths {
		all[path] = read(t, path)
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

// flat is text on one line: pages are wrapped.
func flat(text string) string { return strings.Join(strings.Fields(text), " ") }

// TestMessages holds troubleshooting.md to the program, both ways: the first line of
// each failure is there, and each of its headings is a message of the program.
//
// A first line is the third argument of failure.New, or the first of the lines in a
// row of a table of refusals. What is compared is the longest text between values.
func TestMessages(t *testing.T) {
	page := read(t, "troubleshooting.md")
	flatPage := flat(page)
	var texts []string // all that the program can say
	looked := 0
	check := func(at token.Position, first ast.Expr) {
		text := longestText(first)
		if len(text) < 8 {
			return // an error's own text
		}
		looked++
		if !strings.Contains(flatPage, text) {
			t.Errorf("%s: troubleshooting.md lacks %q", at, text)
		}
	}
	sources, err := filepath.Glob("../*/*.go")
	must(t, err)
	sources = slices.DeleteFunc(sources, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
	for _, source := range sources {
		files := token.NewFileSet()
		parsed, err := parser.ParseFile(files, source, nil, 0)
		must(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				texts = append(texts, pieces(n)...)
			case *ast.CallExpr:
				if name, ok := n.Fun.(*ast.SelectorExpr); ok && name.Sel.Name == "New" && len(n.Args) > 2 {
					if of, ok := name.X.(*ast.Ident); ok && of.Name == "failure" {
						check(files.Position(n.Pos()), n.Args[2])
					}
				}
			case *ast.FuncDecl:
				if strings.HasSuffix(strings.ToLower(n.Name.Name), "refusals") {
					ast.Inspect(n.Body, func(n ast.Node) bool {
						if field, ok := n.(*ast.KeyValueExpr); ok && !strings.EqualFold(fmt.Sprint(field.Key), "lines") {
							return false
						}
						if row, ok := n.(*ast.CompositeLit); ok && len(row.Elts) > 0 {
							if list, ok := row.Type.(*ast.ArrayType); ok && fmt.Sprint(list.Elt) == "string" {
								check(files.Position(n.Pos()), row.Elts[0])
							}
						}
						return true
					})
				}
			}
			return true
		})
	}
	if looked < 90 {
		t.Errorf("only %d messages found: has failure.New another name now?", looked)
	}
	_, messages, _ := strings.Cut(page, "\n## A login is needed")
	for heading := range strings.Lines(messages) {
		message, ok := strings.CutPrefix(heading, "### ")
		if ok && !slices.ContainsFunc(texts, func(text string) bool { return len(text) >= 10 && strings.Contains(message, text) }) {
			t.Errorf("troubleshooting.md explains a message that the program does not have: %s", message)
		}
	}
}

// pieces are the texts of a literal between its values: placeholders and verbs.
func pieces(literal *ast.BasicLit) []string {
	text, err := strconv.Unquote(literal.Value)
	if literal.Kind != token.STRING || err != nil {
		return nil
	}
	parts := regexp.MustCompile(`%[+#]?[a-z]|\{[a-z]+\}`).Split(text, -1)
	for i := range parts {
		parts[i] = strings.Trim(flat(parts[i]), " :;,.()[]")
	}
	return parts
}

// longestText is the longest piece of the literals in an expression.
func longestText(e ast.Expr) string {
	longest := ""
	ast.Inspect(e, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok {
			for _, part := range pieces(literal) {
				if len(part) > len(longest) {
					longest = part
				}
			}
		}
		return true
	})
	return longest
}

// TestKeys looks up every key of the config file in configuration.md.
func TestKeys(t *testing.T) {
	page := read(t, "configuration.md")
	keys := regexp.MustCompile(`(?m)^\t\t\{"([a-z_]+)", "`).FindAllStringSubmatch(read(t, "../profile/keys.go"), -1)
	for _, key := range keys {
		if !strings.Contains(page, "\n| `"+key[1]+"` | ") {
			t.Errorf("configuration.md has no row for %s", key[1])
		}
	}
	if len(keys) < 25 {
		t.Errorf("only %d keys found in profile/keys.go", len(keys))
	}
}

// TestStatusFields holds the table of what daypass status --json prints to the fields
// that there are.
func TestStatusFields(t *testing.T) {
	text := pages(t)["environments.md"]
	for _, of := range []any{process.Status{}, process.LoginStatus{}, process.CredentialStatus{}, process.OpenCode{}, process.LastFailure{}} {
		for field := range reflect.TypeOf(of).Fields() {
			if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "-" && !strings.Contains(text, "`"+name+"`") {
				t.Errorf("%T: environments.md does not name %s", of, name)
			}
		}
	}
}

// TestLinks follows every link to a file or heading of the project.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for page, text := range pages(t) {
		for _, match := range link.FindAllStringSubmatch(withoutCode(text), -1) {
			target := match[1]
			if strings.Contains(target, "://") {
				continue
			}
			path, heading, _ := strings.Cut(target, "#")
			file := page
			if path != "" {
				file = filepath.Join(filepath.Dir(page), filepath.FromSlash(path))
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s links to %s: %v", page, target, err)
				continue
			}
			if heading != "" && !slices.Contains(anchors(read(t, file)), heading) {
				t.Errorf("%s links to %s: there is no such heading", page, target)
			}
		}
	}
}

// anchors are the addresses that GitHub gives to headings.
func anchors(text string) []string {
	var all []string
	for line := range strings.Lines(withoutCode(text)) {
		hashes, title, found := strings.Cut(strings.TrimSpace(line), " ")
		if !found || strings.Trim(hashes, "#") != "" {
			continue
		}
		title = strings.ReplaceAll(strings.ToLower(title), " ", "-")
		all = append(all, regexp.MustCompile(`[^a-z0-9_-]`).ReplaceAllString(title, ""))
	}
	return all
}

// fences are the fenced blocks of a page in one language; "" is every one.
func fences(text, language string) []string {
	var blocks []string
	for _, match := range fence().FindAllStringSubmatch(text, -1) {
		if language == "" || match[1] == language {
			blocks = append(blocks, match[2])
		}
	}
	return blocks
}

func fence() *regexp.Regexp { return regexp.MustCompile("(?ms)^ *```([a-z]*)\n(.*?)^ *```$") }

// withoutCode is a page without its fenced blocks.
func withoutCode(text string) string { return fence().ReplaceAllString(text, "") }

// TestPages finds pages that nothing leads to, other characters than printable ASCII,
// and JSON that is none.
func TestPages(t *testing.T) {
	index := read(t, "README.md")
	for page, text := range pages(t) {
		if filepath.Base(page) != "README.md" && !strings.Contains(index, "]("+filepath.ToSlash(page)+")") {
			t.Errorf("docs/README.md does not link to %s", page)
		}
		for number, line := range strings.Split(text, "\n") {
			if strings.ContainsFunc(line, func(r rune) bool { return r > '~' || r < ' ' }) {
				t.Errorf("%s:%d holds other characters than printable ASCII", page, number+1)
			}
		}
		for _, block := range fences(text, "json") {
			if !json.Valid([]byte(block)) {
				t.Errorf("%s: no JSON:\n%s", page, block)
			}
		}
	}
}

// build builds daypass.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "daypass")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	if output, err := exec.Command("go", "build", "-o", program, "github.com/daypass/daypass").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	return program
}

// run runs daypass in a home of its own, and returns stdout.
func run(t *testing.T, program, home string, args ...string) string {
	t.Helper()
	command := exec.Command(program, args...)
	command.Env = []string{"HOME=" + home, "USERPROFILE=" + home, "LocalAppData=" + home, "PATH=" + os.Getenv("PATH"), "CI=1"}
	var stderr strings.Builder
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("daypass %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(output)
}

// TestCommandsAndFlags compares every command line of daypass that stands in a
// code span or block, and every flag in a span of its own, with the help.
func TestCommandsAndFlags(t *testing.T) {
	program, home := build(t), t.TempDir()
	listed := regexp.MustCompile(`(?m)^  ([a-z-]+) `)
	flag := regexp.MustCompile(`--([a-z][a-z-]*)`)
	settings := flag.FindAllString(run(t, program, home, "help", "settings"), -1)
	flags := map[string][]string{}
	everyFlag := slices.Clone(settings)
	_, commands, _ := strings.Cut(run(t, program, home, "--help"), "Available Commands:\n")
	commands, _, _ = strings.Cut(commands, "\n\n")
	for _, match := range listed.FindAllStringSubmatch(commands, -1) {
		help := run(t, program, home, match[1], "--help")
		flags[match[1]] = append(flag.FindAllString(help, -1), settings...)
		everyFlag = append(everyFlag, flags[match[1]]...)
	}
	if len(flags) < 8 {
		t.Fatalf("help lists only %v", slices.Collect(maps.Keys(flags)))
	}

	span := regexp.MustCompile("`([^`]+)`")
	call := regexp.MustCompile(`(?:^|[\s/])daypass ([a-z][a-z-]*)([^\n|]*)`)
	checked := 0
	for page, text := range pages(t) {
		code := fences(text, "")
		for _, match := range span.FindAllStringSubmatch(withoutCode(text), -1) {
			code = append(code, flat(match[1]))
			if strings.HasPrefix(match[1], "--") && !slices.Contains(everyFlag, flag.FindString(match[1])) {
				t.Errorf("%s: no command has the flag of %q", page, match[1])
			}
		}
		for _, block := range code {
			block = strings.ReplaceAll(block, "\\\n", " ")
			for _, match := range call.FindAllStringSubmatch(block, -1) {
				checked++
				known, ok := flags[match[1]]
				if !ok {
					t.Errorf("%s: there is no command daypass %s", page, match[1])
					continue
				}
				own, _, _ := strings.Cut(match[2], " -- ") // what follows is the other program's
				for _, name := range flag.FindAllString(own, -1) {
					if !slices.Contains(known, name) {
						t.Errorf("%s: daypass %s has no flag %s", page, match[1], name)
					}
				}
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d command lines found", checked)
	}
}

// TestProviderPages has daypass read the configuration of each provider's page,
// and print the trust policy that stands on it. On the page it may name people.
func TestProviderPages(t *testing.T) {
	program := build(t)
	found, err := filepath.Glob("providers/*.md")
	if err != nil || len(found) < 10 {
		t.Fatalf("%d pages, %v", len(found), err)
	}
	for _, page := range found {
		t.Run(filepath.Base(page), func(t *testing.T) {
			text := read(t, page)
			configuration, policies := fences(text, "ini"), fences(text, "json")
			if len(configuration) != 1 || len(policies) != 1 {
				t.Fatalf("%d configurations, %d trust policies: want one of each", len(configuration), len(policies))
			}
			home := t.TempDir()
			must(t, os.Mkdir(filepath.Join(home, ".aws"), 0o700))
			must(t, os.WriteFile(filepath.Join(home, ".aws", "config"), []byte(configuration[0]), 0o600))
			want := policy(t, run(t, program, home, "trust-policy", "--profile", "dev", "--storage", "file"))
			if diff := cmp.Diff(want, policy(t, policies[0])); diff != "" {
				t.Errorf("daypass trust-policy prints (-) another policy than the page (+):\n%s", diff)
			}
		})
	}
}

// policy is a trust policy without conditions on people.
func policy(t *testing.T, text string) map[string]any {
	t.Helper()
	var document map[string]any
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	for _, statement := range document["Statement"].([]any) {
		equals := statement.(map[string]any)["Condition"].(map[string]any)["StringEquals"].(map[string]any)
		maps.DeleteFunc(equals, func(key string, _ any) bool { return strings.HasSuffix(key, ":sub") })
	}
	return document
}

// TestConfigurationBlocks has daypass read each configuration on the pages.
func TestConfigurationBlocks(t *testing.T) {
	section := regexp.MustCompile(`(?m)^\[daypass-idp (.+)\]$`)
	loaded := 0
	for page, text := range pages(t) {
		for _, block := range fences(text, "ini") {
			file := filepath.Join(t.TempDir(), "config")
			must(t, os.WriteFile(file, []byte(block), 0o600))
			src := profile.Source{Getenv: func(name string) string { return map[string]string{"AWS_CONFIG_FILE": file}[name] }}
			config, err := profile.Open(src)
			if err != nil {
				t.Fatalf("%s: %v", page, err)
			}
			for _, name := range section.FindAllStringSubmatch(block, -1) {
				if _, err := config.LoadIDP(name[1]); err != nil {
					t.Errorf("%s: %v", page, err)
				}
			}
			for _, name := range config.Names() {
				loaded++
				if _, err := config.Load(name); err != nil {
					t.Errorf("%s: %v", page, err)
				}
			}
		}
	}
	if loaded < 12 {
		t.Errorf("only %d profiles found", loaded)
	}
}

// must ends a test whose own steps do not work.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
