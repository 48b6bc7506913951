package headwater.streams;

import com.fasterxml.jackson.core.io.SerializedString;

/** What the types of measurements are called. */
enum Measure {
    WEIGHT("body-weight", "29463-7", "Body weight", "kg", "http://hl7.org/fhir/StructureDefinition/bodyweight"),
    BODY_FAT("body-fat", "41982-0", "Body fat percentage", "%", null),
    MUSCLE_MASS("muscle-mass", "73964-9", "Body muscle mass", "kg", null);

    static final SerializedString SYSTEM = new SerializedString("http://loinc.org");
    static final SerializedString CATEGORY = new SerializedString("vital-signs");

    final String slug;
    final SerializedString code;
    final SerializedString text;
    final SerializedString unit;
    /** The vital-signs profile of FHIR R4 it conforms to, or null. */
    final SerializedString profile;

    Measure(String slug, String code, String text, String unit, String profile) {
        this.slug = slug;
        this.code = new SerializedString(code);
        this.text = new SerializedString(text);
        this.unit = new SerializedString(unit);
        this.profile = profile == null ? null : new SerializedString(profile);
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
