// Command policyforms reads a CloudFormation template or a Terraform file on
// standard input, with the parsers of those languages, and prints as JSON what it
// says. It is a module of its own, so that the parsers stay out of daypass's
// dependencies.
//
//	policyforms cloudformation|terraform
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	ctyjson "github.com/zclconf/go-cty/cty/json"
	"go.yaml.in/yaml/v3"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(language string) error {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	var said any
	switch language {
	case "cloudformation":
		err = yaml.Unmarshal(text, &said)
	case "terraform":
		said, err = terraform(text)
	default:
		err = fmt.Errorf("%q is neither cloudformation nor terraform", language)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(said)
}

// terraform returns the attributes of each resource by its type. What refers to
// another resource is the text of that expression.
func terraform(text []byte) (map[string]map[string]any, error) {
	file, problems := hclsyntax.ParseConfig(text, "stdin.tf", hcl.InitialPos)
	if problems.HasErrors() {
		return nil, problems
	}
	resources := map[string]map[string]any{}
	for _, block := range file.Body.(*hclsyntax.Body).Blocks {
		if block.Type != "resource" || len(block.Labels) != 2 {
			return nil, fmt.Errorf("block %s %q", block.Type, block.Labels)
		}
		attributes := map[string]any{}
		for name, attribute := range block.Body.Attributes {
			if len(attribute.Expr.Variables()) > 0 {
				attributes[name] = string(attribute.Expr.Range().SliceBytes(text))
				continue
			}
			value, problems := attribute.Expr.Value(nil)
			if problems.HasErrors() {
				return nil, problems
			}
			attributes[name] = ctyjson.SimpleJSONValue{Value: value}
		}
		resources[block.Labels[0]] = attributes
	}
	return resources, nil
}
