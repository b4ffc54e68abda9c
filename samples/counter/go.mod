module cella.dev/samples/counter

go 1.21

require cella.dev/go v0.0.0

replace cella.dev/go => ../../go
