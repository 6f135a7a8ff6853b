-- What was predicted, what came of it, and what the days' closes told, for everybody who asks in SQL.
-- Columns of the RFID3 design keep their names. Moments are DATETIME in UTC; DOUBLE stands for DECIMAL,
-- VARCHAR for ENUM, TEXT for JSON. "id" is the number of the row's first change. No foreign keys: tags
-- that no item table knows are read all the same.

CREATE TABLE analytics_predictions (
    id BIGINT NOT NULL PRIMARY KEY,
    prediction_type VARCHAR(16) NOT NULL,  -- the service: demand, maintenance, quality, ...
    target_item_id VARCHAR(255),  -- EPC, where an item is spoken of
    target_class VARCHAR(255),  -- SKU, where a class is
    target_category VARCHAR(255),
    target_key VARCHAR(320) NOT NULL,  -- the EPC, or store/SKU
    target_store VARCHAR(64) NOT NULL,
    question VARCHAR(64) NOT NULL,  -- what is predicted, such as units_7d
    role VARCHAR(16) NOT NULL,  -- shown, beside (a candidate), rule (the simple rule)
    prediction_date DATETIME NOT NULL,
    horizon_days BIGINT NOT NULL,
    predicted_value DOUBLE,
    confidence_score DOUBLE,
    confidence_lower DOUBLE,
    confidence_upper DOUBLE,
    model_version VARCHAR(100) NOT NULL,
    model_type VARCHAR(50),
    input_features TEXT,
    external_factors TEXT,
    business_impact_score DOUBLE,
    actual_value DOUBLE,
    accuracy_score DOUBLE,
    feedback_rating SMALLINT CHECK (feedback_rating BETWEEN 1 AND 5),
    created_at DATETIME NOT NULL,
    validated_at DATETIME,
    changed BIGINT NOT NULL,
    UNIQUE (prediction_date, prediction_type, model_version, question, role, target_key)
);
CREATE INDEX analytics_predictions_changed ON analytics_predictions (changed);
CREATE INDEX analytics_predictions_target ON analytics_predictions (target_key, prediction_date);
CREATE INDEX analytics_predictions_type_date_item
    ON analytics_predictions (prediction_type, prediction_date, target_item_id);
CREATE INDEX analytics_predictions_confidence ON analytics_predictions (confidence_score);
CREATE INDEX analytics_predictions_business_impact ON analytics_predictions (business_impact_score);
CREATE INDEX analytics_predictions_accuracy ON analytics_predictions (prediction_type, accuracy_score);

CREATE TABLE ml_model_performance (
    id BIGINT NOT NULL PRIMARY KEY,
    service_name VARCHAR(100) NOT NULL,
    model_type VARCHAR(50) NOT NULL,
    model_version VARCHAR(100) NOT NULL,
    training_date DATETIME NOT NULL,
    deployment_date DATETIME,
    performance_metrics TEXT,
    field_metrics TEXT,  -- what its predictions were worth in this shop, by question
    accuracy_score DOUBLE,
    precision_score DOUBLE,
    recall_score DOUBLE,
    f1_score DOUBLE,
    mae DOUBLE,
    rmse DOUBLE,
    training_data_size BIGINT,
    validation_data_size BIGINT,
    hyperparameters TEXT,
    feature_importance TEXT,
    stage VARCHAR(16) NOT NULL,  -- active, candidate, retired, ...
    is_active SMALLINT NOT NULL,
    created_at DATETIME NOT NULL,
    changed BIGINT NOT NULL,
    UNIQUE (service_name, model_version)
);
CREATE INDEX ml_model_performance_changed ON ml_model_performance (changed);
CREATE INDEX ml_model_performance_accuracy ON ml_model_performance (accuracy_score);
CREATE INDEX ml_model_performance_deployment ON ml_model_performance (deployment_date, is_active);

-- The features named in store.features, as each day closed.
CREATE TABLE ml_feature_store (
    id BIGINT NOT NULL PRIMARY KEY,
    feature_name VARCHAR(100) NOT NULL,
    feature_category VARCHAR(50) NOT NULL,  -- class or item
    target_entity VARCHAR(320) NOT NULL,  -- the EPC, or store/SKU
    feature_value DOUBLE,
    feature_timestamp DATETIME NOT NULL,
    data_source VARCHAR(100) NOT NULL,
    computation_method VARCHAR(100) NOT NULL,
    is_real_time SMALLINT NOT NULL,
    quality_score DOUBLE NOT NULL,
    created_at DATETIME NOT NULL,
    changed BIGINT NOT NULL,
    UNIQUE (feature_name, target_entity, feature_timestamp)
);
CREATE INDEX ml_feature_store_changed ON ml_feature_store (changed);
CREATE INDEX ml_feature_store_time ON ml_feature_store (feature_name, feature_timestamp);
CREATE INDEX ml_feature_store_entity_time ON ml_feature_store (target_entity, feature_timestamp);
CREATE INDEX ml_feature_store_real_time ON ml_feature_store (is_real_time, feature_timestamp);

-- Weather, economy, calendar: the mean of each factor on each day.
CREATE TABLE external_data_factors (
    id BIGINT NOT NULL PRIMARY KEY,
    factor_type VARCHAR(16) NOT NULL,  -- weather, economic, seasonal, market, events
    factor_name VARCHAR(100) NOT NULL,
    factor_store VARCHAR(64) NOT NULL,  -- empty: all
    factor_value DOUBLE,
    measurement_date DATETIME NOT NULL,
    data_source VARCHAR(100) NOT NULL,
    api_endpoint VARCHAR(500),
    quality_confidence DOUBLE NOT NULL,
    correlation_strength DOUBLE,
    business_relevance_score DOUBLE,
    created_at DATETIME NOT NULL,
    changed BIGINT NOT NULL,
    UNIQUE (factor_type, factor_name, factor_store, measurement_date)
);
CREATE INDEX external_data_factors_changed ON external_data_factors (changed);
CREATE INDEX external_data_factors_type_date ON external_data_factors (factor_type, measurement_date);
CREATE INDEX external_data_factors_correlation ON external_data_factors (correlation_strength);
CREATE INDEX external_data_factors_relevance ON external_data_factors (business_relevance_score);

-- One row a class, store and local day with anything on it. A late event corrects an earlier day.
CREATE TABLE daily_sales (
    day DATE NOT NULL,
    store VARCHAR(64) NOT NULL,
    sku VARCHAR(255) NOT NULL,
    rented_units DOUBLE NOT NULL,
    sold_units DOUBLE NOT NULL,
    returned_units DOUBLE NOT NULL,
    revenue_cents BIGINT NOT NULL,
    stockouts BIGINT NOT NULL,
    on_hand_close_units DOUBLE,
    on_rent_close_units DOUBLE,
    price_close_cents BIGINT,
    changed BIGINT NOT NULL,
    PRIMARY KEY (day, store, sku)
);
CREATE INDEX daily_sales_changed ON daily_sales (changed);
CREATE INDEX daily_sales_sku ON daily_sales (sku, day);

-- Classes and items as they were at the last close that told of them.
CREATE TABLE classes (
    sku VARCHAR(255) NOT NULL,
    common_name TEXT NOT NULL,
    category TEXT NOT NULL,
    store VARCHAR(64) NOT NULL,
    on_hand_units DOUBLE,
    on_rent_units DOUBLE,
    reserved_units DOUBLE,
    price_cents BIGINT,
    list_price_cents BIGINT,
    competitor_price_cents BIGINT,
    cost_cents BIGINT,
    rented_units_28d DOUBLE,
    sold_units_28d DOUBLE,
    as_of DATE NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (store, sku)
);
CREATE INDEX classes_changed ON classes (changed);

CREATE TABLE items (
    tag_id VARCHAR(255) NOT NULL PRIMARY KEY,
    rental_class_num VARCHAR(255) NOT NULL,
    store VARCHAR(64) NOT NULL,
    status_group VARCHAR(16) NOT NULL,
    retired SMALLINT NOT NULL,
    grade DOUBLE,
    days_since_scan DOUBLE,
    rentals_total DOUBLE,
    repairs_total DOUBLE,
    turnover_cents_total DOUBLE,
    as_of DATE NOT NULL,
    changed BIGINT NOT NULL
);
CREATE INDEX items_changed ON items (changed);
CREATE INDEX items_class ON items (rental_class_num);
