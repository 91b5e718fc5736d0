//go:build withslog

package service

import (
	"context"
	"log/slog"
	"os"
)

var logger = slog.New(slog.NewJSONHandler(os.Stderr, nil))

func complain(ctx context.Context, err error) { logger.ErrorContext(ctx, "failed", "error", err) }
