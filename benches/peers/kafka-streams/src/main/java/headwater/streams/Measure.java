package headwater.streams;

/** What the types of measurements are called. */
enum Measure {
    WEIGHT("body-weight", "29463-7", "Body weight", "kg", "http://hl7.org/fhir/StructureDefinition/bodyweight"),
    BODY_FAT("body-fat", "41982-0", "Body fat percentage", "%", null),
    MUSCLE_MASS("muscle-mass", "73964-9", "Body muscle mass", "kg", null);

    static final String SYSTEM = "http://loinc.org";
    static final String CATEGORY = "vital-signs";

    final String slug;
    final String code;
    final String text;
    final String unit;
    /** The vital-signs profile of FHIR R4 it conforms to, or null. */
    final String profile;

    Measure(String slug, String code, String text, String unit, String profile) {
        this.slug = slug;
        this.code = code;
        this.text = text;
        this.unit = unit;
        this.profile = profile;
    }

    /** The measure of a provider's type, or null where it is not mapped. */
    static Measure of(int kind) {
        return switch (kind) {
            case 1 -> WEIGHT;
            case 6 -> BODY_FAT;
            case 76 -> MUSCLE_MASS;
            default -> null;
        };
    }
}
