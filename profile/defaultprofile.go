package profile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/daypass/daypass/failure"
)

// Choose returns the profile that a person means with -p or without it: the name
// if there is one, else AWS_PROFILE, else "default" if it is set up for daypass,
// else the only profile that is. It returns "" if the flags say everything. Not
// for credential_process, see [Config.Load].
func (c *Config) Choose(name string) (string, error) {
	if name != "" || c.src.complete() {
		return name, nil
	}
	if fromEnv := c.src.getenv("AWS_PROFILE"); fromEnv != "" {
		return fromEnv, nil
	}
	names := c.Names()
	switch {
	case slices.Contains(names, "default"):
		return "default", nil
	case len(names) == 1:
		return names[0], nil
	case len(names) == 0:
		return "", failure.New(failure.ExitUsage, nil,
			fmt.Sprintf("no profile in %s uses daypass.", plain(c.path)), "Set one up: daypass configure")
	}
	return "", setting{where: "--profile"}.missing(fmt.Sprintf("one of %d profiles", len(names)), "Profiles set up for daypass: "+listed(names)+".")
}

// listed is a list of names for a person, cut where it becomes long.
func listed(names []string) string {
	const most = 12
	var shown []string
	for _, name := range names[:min(most, len(names))] {
		shown = append(shown, plain(name))
	}
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(shown, ", "), more)
	}
	return strings.Join(shown, ", ")
}
