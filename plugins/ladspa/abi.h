/* The binary interface of LADSPA 1.1 as far as this plugin uses it, so that it
   builds wherever the core does; tests/test_ladspa.py holds it against the
   <ladspa.h> of the system. The names are those of the standard. */

#ifndef PLUGIN_LADSPA_ABI_H
#define PLUGIN_LADSPA_ABI_H

typedef float LADSPA_Data;
typedef int LADSPA_Properties;
typedef int LADSPA_PortDescriptor;
typedef int LADSPA_PortRangeHintDescriptor;
typedef void *LADSPA_Handle;

enum { LADSPA_PROPERTY_HARD_RT_CAPABLE = 0x4 };
enum { LADSPA_PORT_INPUT = 0x1, LADSPA_PORT_OUTPUT = 0x2, LADSPA_PORT_CONTROL = 0x4, LADSPA_PORT_AUDIO = 0x8 };
enum {
    LADSPA_HINT_BOUNDED_BELOW = 0x1,
    LADSPA_HINT_BOUNDED_ABOVE = 0x2,
    LADSPA_HINT_TOGGLED = 0x4,
    LADSPA_HINT_INTEGER = 0x20,
    LADSPA_HINT_DEFAULT_MAXIMUM = 0x140,
    LADSPA_HINT_DEFAULT_0 = 0x200
};

typedef struct LADSPA_PortRangeHint {
    LADSPA_PortRangeHintDescriptor HintDescriptor;
    LADSPA_Data LowerBound;
    LADSPA_Data UpperBound;
} LADSPA_PortRangeHint;

typedef struct LADSPA_Descriptor {
    unsigned long UniqueID;
    const char *Label;
    LADSPA_Properties Properties;
    const char *Name;
    const char *Maker;
    const char *Copyright;
    unsigned long PortCount;
    const LADSPA_PortDescriptor *PortDescriptors;
    const char *const *PortNames;
    const LADSPA_PortRangeHint *PortRangeHints;
    void *ImplementationData;
    LADSPA_Handle (*instantiate)(const struct LADSPA_Descriptor *descriptor, unsigned long rate_hz);
    void (*connect_port)(LADSPA_Handle handle, unsigned long port, LADSPA_Data *data);
    void (*activate)(LADSPA_Handle handle);
    void (*run)(LADSPA_Handle handle, unsigned long samples);
    void (*run_adding)(LADSPA_Handle handle, unsigned long samples);
    void (*set_run_adding_gain)(LADSPA_Handle handle, LADSPA_Data gain);
    void (*deactivate)(LADSPA_Handle handle);
    void (*cleanup)(LADSPA_Handle handle);
} LADSPA_Descriptor;

const LADSPA_Descriptor *ladspa_descriptor(unsigned long index);

#endif
