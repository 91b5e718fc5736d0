//go:build !withslog

package service

import (
	"context"
	"log"
)

func complain(_ context.Context, err error) { log.Print(err) }
