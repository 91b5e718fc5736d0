package database

// MaxAttempts exposes maxAttempts.
const MaxAttempts = maxAttempts
