//go:build e2e && linux

package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daypass/daypass/internal/sandbox"
)

// person approves what daypass shows, at the sandbox's provider: each link that
// it opens in the browser, and each code in a text that the person reads.
type person struct {
	t       *testing.T
	sandbox *sandbox.Sandbox
	tabs    string // the file to which the browser appends the links it opens

	mu       sync.Mutex
	answered map[string]bool // by user code
}

// startPerson has a person sit there until the test ends.
func startPerson(t *testing.T, box *sandbox.Sandbox, tabs string) *person {
	t.Helper()
	p := &person{t: t, sandbox: box, tabs: tabs, answered: map[string]bool{}}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			for _, link := range p.opened() {
				if u, err := url.Parse(link); err == nil {
					p.approve(u.Query().Get("user_code"))
				}
			}
			select {
			case <-end:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() { close(end); <-ended })
	return p
}

// startPerson gives the computer a browser, and a person who looks at it.
func (c *computer) startPerson() *person {
	c.t.Helper()
	browser, tabs := filepath.Join(c.folder, "browser"), filepath.Join(c.folder, "tabs")
	script := fmt.Sprintf("#!/bin/sh\necho \"$1\" >> %s\n", tabs)
	must(c.t, os.WriteFile(browser, []byte(script), 0o700))
	c.env["BROWSER"] = browser
	return startPerson(c.t, c.aws, tabs)
}

// opened returns the links that the browser has opened so far.
func (p *person) opened() []string {
	data, err := os.ReadFile(p.tabs)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.t.Error(err)
	}
	return strings.Fields(string(data))
}

// read has the person read a text.
func (p *person) read(text string) {
	for _, match := range regexp.MustCompile(`user_code=([A-Z]{4}-[A-Z]{4})`).FindAllStringSubmatch(text, -1) {
		p.approve(match[1])
	}
}

func (p *person) approve(code string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answered[code] {
		return
	}
	p.answered[code] = true
	if err := p.sandbox.Approve(code, "taro"); err != nil {
		p.t.Errorf("approve: %v", err)
	}
}
