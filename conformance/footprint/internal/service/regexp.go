//go:build withregexp

package service

import "regexp"

var name = regexp.MustCompile(`^\p{L}+( \p{L}+)*$`)

func acceptable(greeting Greeting) bool { return name.MatchString(greeting.Name) }
