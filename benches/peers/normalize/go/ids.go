package main

import "github.com/google/uuid"

// namespace of all ids: the v5 of urn:headwater:ids under the URL namespace.
var namespace = uuid.MustParse("92f01e02-78f0-5c73-a6f5-9bd90905fac4")

func observationID(connection, subject, dataType, recordID string) uuid.UUID {
	return idOf("observation", connection, subject, dataType, recordID)
}

func deviceID(connection, subject, providerDevice string) uuid.UUID {
	return idOf("device", connection, subject, providerDevice)
}

// idOf is the UUIDv5 over parts that are each ended by a zero byte.
func idOf(parts ...string) uuid.UUID {
	name := make([]byte, 0, 256)
	for _, part := range parts {
		name = append(append(name, part...), 0)
	}
	return uuid.NewSHA1(namespace, name)
}
