"""Raw records of a provider's cloud in, observations with their FHIR R4 resource out."""
