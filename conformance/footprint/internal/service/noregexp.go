//go:build !withregexp

package service

func acceptable(greeting Greeting) bool { return greeting.Name != "" }
