package controller

import "go.uber.org/zap/zapcore"

// mostVerbose is the level before client-go logs the bodies of its requests and answers (V(8)), which for a
// Secret are its data.
const mostVerbose zapcore.Level = -7

// LogLevel bounds a log level, so that no verbosity that is asked for puts a token into a log.
func LogLevel(asked zapcore.LevelEnabler) zapcore.LevelEnabler {
	if asked == nil {
		return nil
	}
	return boundedLevel{asked}
}

type boundedLevel struct{ asked zapcore.LevelEnabler }

// Enabled implements zapcore.LevelEnabler.
func (b boundedLevel) Enabled(level zapcore.Level) bool {
	return level >= mostVerbose && b.asked.Enabled(level)
}
